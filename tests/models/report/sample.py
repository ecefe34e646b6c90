"""A report document with every section filled."""

from models.recipes.architecture import ArchitectureSpec, Normalization
from models.report.document import DatasetFacts, JobFacts, Picture, Provenance, ReportDocument
from models.results.audit import AuditResult, ProbeResult, Rate, TransferResult, TriggerReport
from models.results.inspection import CheckpointInspection
from models.results.training import CurvePoint, Decision, DistillationResult, StudentResult
from models.results.verification import AttackSuccess, Check, NetworkMeasurement, VerificationResult

SPEC = ArchitectureSpec("wrn-10-2", 10, 16)
#: One gray pixel.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c63680000"
    "0082008177cd72b60000000049454e44ae426082"
)


def rate(value: float, n: int = 500) -> Rate:
    return Rate(value, max(0.0, value - 0.03), min(1.0, value + 0.03), n)


def measurement(role, accuracy: float, success: float, parameters: int) -> NetworkMeasurement:
    return NetworkMeasurement(
        role=role,
        architecture="wrn-10-2" if role == "teacher" else "wrn-10-1",
        parameters=parameters,
        macs=parameters * 90,
        size_bytes=parameters * 4,
        latency_ms=0.8,
        accuracy=rate(accuracy),
        agreement=rate(accuracy),
        attacks=(AttackSuccess("ring", "given", 3, rate(success), rate(0.01)),),
    )


def student(role, scale: float) -> StudentResult:
    curve = tuple(
        CurvePoint(s, {"loss": scale / (1 + s), "agreement": 1 - 1 / (1 + s)}) for s in range(0, 500, 50)
    )
    decisions = (Decision(50, "vaccine accepted", "trial 2 of 8: 3.1 % in the lower tail", {"ratio": 0.031}),)
    return StudentResult(
        role, "ood", "abd" if role == "defended" else "none", ArchitectureSpec("wrn-10-1", 10, 16),
        500, 64_000, 61.0, 7, {"loss": 0.1}, curve, decisions if role == "defended" else (),
    )  # fmt: skip


def audit() -> AuditResult:
    margins = (9.0, 8.5, 8.7, 21.4, 9.9, 7.7, 8.1, 8.8, 9.2, 8.0)
    return AuditResult(
        tier=2,
        verdict="detected",
        target_label=3,
        sentence="The trigger you gave sends 99.6 % of other images to class 3.",
        evidence=("The given trigger works.", "Class 3 has by far the largest reachable margin."),
        not_tested=("Source-specific triggers.",),
        advice=("Clean reference networks would allow a stated false-positive rate.",),
        hazard="high",
        teacher_accuracy=rate(0.99),
        probes=(
            ProbeResult("mmbd", "One class stands out.", 3, 0.77, True, margins, 0.001, 0, "all-to-all", 9.0),
        ),
        triggers=(TriggerReport("ring", "given", "blend", 3, rate(0.996), rate(0.0), 0.2, "clean images"),),
        transfers=(
            TransferResult(
                "ood", "ring", 3, rate(0.996), rate(0.97), rate(0.1), 0.97, "high", 0.8, 20_000,
                ((5_000, 0.4), (10_000, 0.9), (20_000, 0.97)),
            ),
        ),
        seed=7,
        seconds=44.0,
    )  # fmt: skip


def document(teacher_filename: str = "suspect.pt") -> ReportDocument:
    return ReportDocument(
        job=JobFacts(
            "job_01", "clean", teacher_filename, "2026-01-01 10:00:00", "2026-01-01 10:00:01", 1, "cpu"
        ),
        inspection=CheckpointInspection(
            "torch_zip", SPEC, "inferred", Normalization(), "assumed", 300_000, 900, 30_000_000,
            {"float32": 60}, 1_200_000, "a" * 64, "b" * 64, "state_dict", None, ("optimizer",), 0, ("w1",),
        ),
        provenance=Provenance(
            {"seed": 7}, {"torch": "2.0"}, 2, {"student.safetensors": "c" * 64},
            (DatasetFacts("clean_labelled", "test.zip", 500, "d" * 64),),
        ),
        audit=audit(),
        distillation=DistillationResult(
            "ood", "abd", "No labels were given.", (student("undefended", 2.0), student("defended", 2.5))
        ),
        verification=VerificationResult(
            networks=(
                measurement("teacher", 0.99, 0.996, 300_000),
                measurement("undefended", 0.93, 0.97, 77_000),
                measurement("defended", 0.91, 0.03, 77_000),
            ),
            image_source="clean images",
            images=500,
            checks=(Check("success of ring", 0.02, 0.1, True, "given"),),
            accepted=True,
            sentence="It met every threshold that could be measured.",
            seconds=3.0,
        ),
        pictures=(Picture("ring", "the trigger", PNG),),
    )  # fmt: skip

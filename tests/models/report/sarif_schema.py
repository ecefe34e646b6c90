"""The part of the SARIF 2.1.0 schema that our documents use, closed: a property it lacks is refused.

Written from the standard (OASIS SARIF 2.1.0, section 3), with what GitHub's code scanning wants on top: one
location with a region, a fingerprint, and descriptions of at most 1,024 characters.
"""

from typing import Any

Json = dict[str, Any]


def closed(required: tuple[str, ...], **properties: Json) -> Json:
    return {
        "type": "object",
        "required": list(required),
        "properties": properties,
        "additionalProperties": False,
    }


def listed(items: Json, least: int = 0) -> Json:
    return {"type": "array", "items": items, "minItems": least}


TEXT: Json = {"type": "string", "minLength": 1}
MESSAGE = closed(("text",), text=TEXT)
DESCRIPTION = closed(("text",), text={"type": "string", "minLength": 1, "maxLength": 1024})
INDEX: Json = {"type": "integer", "minimum": 0}
URI: Json = {"type": "string", "pattern": r"^https://\S+$"}
SHA256: Json = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
LEVEL: Json = {"enum": ["none", "note", "warning", "error"]}
BAG: Json = {"type": "object"}
#: RFC 3986: a relative reference whose first segment has no colon, so that none is taken for a scheme.
RELATIVE: Json = {"type": "string", "pattern": r"^(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+$"}

COMPONENT_REFERENCE = closed(("name", "index"), name=TEXT, index=INDEX)
REFERENCE = closed(("id",), id=TEXT, index=INDEX, toolComponent=COMPONENT_REFERENCE)
RULE = closed(
    (
        "id", "name", "shortDescription", "fullDescription", "help", "defaultConfiguration",
        "relationships", "properties",
    ),
    id={"type": "string", "pattern": "^[A-Z]+[0-9]+$"},
    name={"type": "string", "pattern": "^([A-Z][a-z]+)+$"},
    shortDescription=DESCRIPTION,
    fullDescription=DESCRIPTION,
    help=MESSAGE,
    defaultConfiguration=closed(("level",), level=LEVEL),
    relationships=listed(
        closed(
            ("target", "kinds"),
            target=REFERENCE,
            kinds={"type": "array", "items": {"enum": ["relevant"]}, "minItems": 1, "uniqueItems": True},
        ),
        1,
    ),
    properties=closed(("tags",), tags={"type": "array", "items": TEXT, "uniqueItems": True}),
)  # fmt: skip
NOTIFICATION_DESCRIPTOR = closed(
    ("id", "shortDescription"),
    id=TEXT,
    shortDescription=DESCRIPTION,
    fullDescription=DESCRIPTION,
    help=MESSAGE,
)
DRIVER = closed(
    ("name", "rules", "notifications", "supportedTaxonomies"),
    name={"const": "Proctor"},
    version=TEXT,
    shortDescription=DESCRIPTION,
    rules=listed(RULE, 1),
    notifications=listed(NOTIFICATION_DESCRIPTOR, 1),
    supportedTaxonomies=listed(COMPONENT_REFERENCE, 1),
)
TAXONOMY = closed(
    ("name", "organization", "taxa"),
    name=TEXT,
    organization=TEXT,
    shortDescription=DESCRIPTION,
    informationUri=URI,
    isComprehensive={"type": "boolean"},
    taxa=listed(closed(("id", "name"), id=TEXT, name=TEXT, shortDescription=DESCRIPTION, helpUri=URI), 1),
)
LINE: Json = {"type": "integer", "minimum": 1}
LOCATION = closed(
    ("physicalLocation",),
    physicalLocation=closed(
        ("artifactLocation", "region"),
        artifactLocation=closed(("uri", "index"), uri=RELATIVE, index=INDEX),
        region=closed(
            ("startLine", "startColumn", "endLine", "endColumn"),
            startLine=LINE,
            startColumn=LINE,
            endLine=LINE,
            endColumn=LINE,
        ),
    ),
)
RESULT = closed(
    ("ruleId", "ruleIndex", "kind", "level", "message", "locations", "partialFingerprints", "properties"),
    ruleId=TEXT,
    ruleIndex=INDEX,
    kind={"enum": ["pass", "fail"]},
    level=LEVEL,
    message=MESSAGE,
    locations={**listed(LOCATION, 1), "maxItems": 1},
    partialFingerprints=closed(
        ("proctorFinding/v1", "primaryLocationLineHash"),
        **{
            "proctorFinding/v1": SHA256,
            "primaryLocationLineHash": {"type": "string", "pattern": "^[0-9a-f]{16}:1$"},
        },
    ),
    properties=BAG,
    taxa=listed(REFERENCE, 1),
)
# Section 3.27.10: only what failed has a level.
RESULT["oneOf"] = [
    {"properties": {"kind": {"const": "fail"}, "level": {"enum": ["note", "warning", "error"]}}},
    {"properties": {"kind": {"const": "pass"}, "level": {"const": "none"}}},
]
NOTIFICATION = closed(
    ("descriptor", "level", "message"),
    descriptor=REFERENCE,
    associatedRule=REFERENCE,
    level=LEVEL,
    message=MESSAGE,
    properties=BAG,
)
RUN = closed(
    ("tool", "taxonomies", "automationDetails", "invocations", "artifacts", "results"),
    tool=closed(("driver",), driver=DRIVER),
    taxonomies=listed(TAXONOMY, 1),
    automationDetails=closed(("id",), id=TEXT),
    invocations=listed(
        closed(
            ("executionSuccessful",),
            executionSuccessful={"const": True},
            toolExecutionNotifications=listed(NOTIFICATION),
        ),
        1,
    ),
    artifacts=listed(
        closed(
            ("location", "hashes"),
            location=closed(("uri",), uri=RELATIVE),
            length=INDEX,
            roles=listed({"const": "analysisTarget"}, 1),
            hashes=closed(("sha-256",), **{"sha-256": SHA256}),
            properties=BAG,
        ),
        1,
    ),
    results=listed(RESULT, 1),
    properties=BAG,
)
LOG = closed(
    ("$schema", "version", "runs"),
    **{"$schema": URI, "version": {"const": "2.1.0"}, "runs": {**listed(RUN, 1), "maxItems": 1}},
)

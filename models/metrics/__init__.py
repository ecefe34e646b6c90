"""What is measured on a network: accuracy, attack success, agreement, cost."""

from models.metrics.accuracy import accuracy
from models.metrics.agreement import agreement
from models.metrics.attack_success import all_to_all_success, attack_success, clean_target_rate
from models.metrics.cost import Cost, measure_cost
from models.metrics.intervals import wilson
from models.metrics.prediction import predict

__all__ = [
    "Cost",
    "accuracy",
    "agreement",
    "all_to_all_success",
    "attack_success",
    "clean_target_rate",
    "measure_cost",
    "predict",
    "wilson",
]

import pytest

from dicomnode.simulation import SimulatedExam, recipe_for, simulate


@pytest.fixture(scope="session")
def quiet_exam() -> SimulatedExam:
    """All five habitats, little motion, no attenuation: easy to compare with its truth."""
    recipe = recipe_for(
        "malignant",
        11,
        preset="small",
        layout="mono-left",
        tint="amber",
        fractions=(0.15, 0.2, 0.25, 0.2, 0.2),
        size_mm=18.0,
        dose=1.0,
        time_scale=1.0,
        gain=1.0,
        breathing_mm=0.1,
        drift_mm=0.1,
        posterior_db=0.0,
        attenuation_db_per_cm=0.0,
        full_scale=40.0,
        dynamic_range_db=60.0,
        bubbles_per_mm2=60.0,
        shimmer=0.3,
        noise_db=0.0,
        looks=3,
    )
    return simulate(recipe)

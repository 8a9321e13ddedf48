import pytest

# pytest finds this by itself for an installed Holdfast, but not in an editable one.
pytest.register_assert_rewrite("holdfast.testing.broker_suite")

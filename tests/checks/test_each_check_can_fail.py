"""Each check has a fixture that it passes and one that it does not: a check that cannot fail is a defect."""

from __future__ import annotations

import ast

import pytest
from tinytree import TESTS

from patchbot.checking.check import available

APPLIES, BTF, BUILD, CHECKPATCH, COMPILED, SITES = (
    f"checks/test_check_{name}.py" for name in ("applies", "btf", "build", "checkpatch", "compiled", "sites")
)
FILES, OBJECTS = "checks/test_checks_of_files.py", "checks/test_checks_of_objects.py"
BOOT, SELFTESTS = "campaigns/kfunc_flags/boot/test_boot.py", "build/test_selftests.py"
#: Of these, one test has a patch that passes and one with a fault.
BOTH_OF_FILES = ("test_a_fault_is_found_and_what_was_there_is_not_new",) * 2
BOTH_OF_OBJECTS = ("test_a_fault_is_found_where_it_is_new",) * 2
#: {check: (file, a test with what passes, one with what does not, at the right place)}.
FIXTURES = {
    "applies": (
        APPLIES,
        "test_a_good_series_passes_and_is_known_the_next_time",
        "test_a_damaged_hunk_fails_at_its_patch_and_is_named",
    ),
    "boot": (BOOT, "test_kernels_that_get_enough_pass", "test_a_kernel_that_gets_too_little_fails"),
    "btf": (BTF, "test_the_generated_series_means_the_same", "test_a_fault_is_named_at_its_row"),
    "build": (
        BUILD,
        "test_what_the_configuration_lacks_is_compiled_in_allyesconfig",
        "test_what_is_new_belongs_to_the_patch_that_brought_it",
    ),
    "checkpatch": (
        CHECKPATCH,
        "test_a_clean_patch_passes_and_is_known_after_a_rebase",
        "test_a_bad_patch_is_found",
    ),
    "clang": (OBJECTS, *BOTH_OF_OBJECTS),
    "coccicheck": (FILES, *BOTH_OF_FILES),
    "codespell": (FILES, *BOTH_OF_FILES),
    "compiled": (COMPILED, "test_all_lines_are_compiled", "test_each_reason_is_told_with_its_place"),
    "dtschema": (FILES, *BOTH_OF_FILES),
    "includes": (FILES, *BOTH_OF_FILES),
    "kernel_doc": (FILES, *BOTH_OF_FILES),
    "kunit": ("checks/test_check_kunit.py", *("test_a_failure_belongs_to_the_patch_that_brought_it",) * 2),
    "rst": (FILES, *BOTH_OF_FILES),
    "scripts": (FILES, *BOTH_OF_FILES),
    "selftests": (
        SELFTESTS,
        "test_what_is_right_compiles_twice_and_nothing_else_is_asked_for",
        "test_a_fault_is_found_at_its_place",
    ),
    "sites": (SITES, "test_the_rows_of_the_tiny_kernel_are_the_same", "test_a_difference_fails_with_both_lists"),
    "sparse": (OBJECTS, *BOTH_OF_OBJECTS),
}


@pytest.mark.parametrize("check", sorted({*available(), *FIXTURES}))
def test_a_check_has_what_passes_and_what_fails(check: str) -> None:
    file, *tests = FIXTURES[check]
    body = ast.parse((TESTS / file).read_text()).body
    named = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    assert {*tests} <= named
    if file in (FILES, OBJECTS):
        tables = [n.value for n in body if isinstance(n, ast.Assign | ast.AnnAssign) and "FAULTS" in ast.unparse(n)]
        assert check in {key.value for key in tables[0].keys}
    assert check in available()

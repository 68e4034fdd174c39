# This repository is an nbgrader course directory as it stands: run `nbgrader` at its root.
#
# The source notebooks in solutions/ are made from the .py files beside them by `make exercises`.

c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "batch-normalization"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "exercises"
# The .py sources hold the solutions: they must never be copied to students.
c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", "feedback", "*.py"]

# `nbgrader autograde` and formgrader's button grade with this engine, not in a kernel beside the
# tests. Without these lines they are stock nbgrader.
c.Autograde.sanitize_preprocessors = [
    "autograder.classroom.preprocessor.KnownCells",
    "nbgrader.preprocessors.ClearOutput",
    "nbgrader.preprocessors.DeduplicateIds",
    "nbgrader.preprocessors.OverwriteKernelspec",
    "nbgrader.preprocessors.OverwriteCells",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.Autograde.autograde_preprocessors = [
    "autograder.classroom.preprocessor.Judge",
    "nbgrader.preprocessors.SaveAutoGrades",
    "autograder.classroom.preprocessor.Comments",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]

c.ClearSolutions.code_stub = {"python": "raise NotImplementedError()"}
c.ClearSolutions.text_stub = "*Write your answer here.*"
# A mark scheme stands in the locked question above a written answer, where the person who grades
# sees it and from where it is cleared for students. nbgrader expects it in task cells only.
c.ClearMarkScheme.enforce_metadata = False

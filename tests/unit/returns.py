"""What states return."""

FAILED = {
    "result": False,
    "comment": "hunter2 is wrong",
    "changes": {},
    "__sls__": "web",
    "__id__": "fails",
    "__run_num__": 0,
}

"""The AWS stack: one construct per capability, wired together in stack.py."""

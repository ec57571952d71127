"""Pods without the member they ask for, or with an outdated one."""

"""Workloads as users write them."""

from typing import Any


def template(annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """A Pod template, with no annotations at all where None are given."""
    metadata: dict[str, Any] = {"labels": {"app": "shop"}}
    if annotations is not None:
        metadata["annotations"] = annotations
    return {"metadata": metadata, "spec": {"containers": [{"name": "app", "image": "shop:1"}], **spec}}


def deployment(
    annotations: dict[str, str] | None = None, of_template: dict[str, str] | None = None, **spec: Any
) -> dict[str, Any]:
    """The Deployment shop, with annotations of its own and of its template."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop"} | ({} if annotations is None else {"annotations": annotations}),
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "shop"}},
            "template": template(of_template),
            **spec,
        },
    }

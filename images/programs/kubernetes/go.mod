// The Kubernetes programs of the control plane and of the node as one program. The train that
// replaces this module by its folder decides every version.
module ingot.dev/programs/kubernetes

go 1.25.0

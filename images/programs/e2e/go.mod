// Kubernetes' end-to-end tests as a program. The train that replaces this module by its folder
// decides every version.
module ingot.dev/programs/e2e

go 1.25.0

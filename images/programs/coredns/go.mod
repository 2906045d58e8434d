// CoreDNS with the plugins that a cluster without internet can use. The train that replaces
// this module by its folder decides every version.
module ingot.dev/programs/coredns

go 1.26.8

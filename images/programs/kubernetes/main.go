// Command kubernetes is kube-apiserver, kube-controller-manager, kube-scheduler, kube-proxy
// and kubelet in one program, and is each of them when it is started under that name.
//
// The five share most of their code. Apart they are 430 MB, together a third of that, which a
// site without internet carries, every server stores, and its page cache holds, once. Each
// case below is what the main function of that program upstream does, and nothing more.
//
// Started as check-settings it serves nothing: it says what the components would say of settings.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	_ "time/tzdata" // the API server and the CronJob controller know time zones

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // metrics of API clients
	_ "k8s.io/component-base/metrics/prometheus/version"  // the metric of the version
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	name := filepath.Base(os.Args[0])
	var command *cobra.Command
	switch name {
	case "kube-apiserver":
		command = apiserver.NewAPIServerCommand()
	case "kube-controller-manager":
		command = controllermanager.NewControllerManagerCommand()
	case "kube-scheduler":
		command = scheduler.NewSchedulerCommand()
	case "kube-proxy":
		command = proxy.NewProxyCommand()
	case "kubelet":
		command = kubelet.NewKubeletCommand(context.Background())
	case "check-settings":
		os.Exit(runCheckSettings())
	default:
		fmt.Fprintf(os.Stderr, "%s: start this program as kube-apiserver, kube-controller-manager, "+
			"kube-scheduler, kube-proxy or kubelet\n", name)
		os.Exit(2)
	}
	os.Exit(cli.Run(command))
}

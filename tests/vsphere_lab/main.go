// Command vsphere-lab is a vCenter (or ESXi) for tests: govmomi's simulator, and what it lacks for
// reading and writing the disks of virtual machines, with real bytes.
//
// It prints one line of JSON when it is ready, and ends when its standard input is closed.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options are the flags of the command.
type options struct {
	listen       string
	control      string
	folder       string
	esx          bool
	hosts        int
	vms          int
	user         string
	password     string
	leaseTimeout time.Duration
	readyAfter   time.Duration
	areasPage    int
	readRunning  bool
	expired      bool
	shutdown     time.Duration
	verbose      bool
}

func parseOptions() options {
	var o options
	flag.StringVar(&o.listen, "listen", "127.0.0.1:0", "address for HTTPS: /sdk, /nfc, /folder, /api")
	flag.StringVar(&o.control, "control", "127.0.0.1:0", "address for control calls, without TLS")
	flag.StringVar(&o.folder, "folder", "", "where the contents of disks are kept (a temporary one)")
	flag.BoolVar(&o.esx, "esx", false, "one ESXi host instead of a vCenter")
	flag.IntVar(&o.hosts, "hosts", 2, "hosts in the cluster")
	flag.IntVar(&o.vms, "vms", 0, "virtual machines that exist in the inventory only")
	flag.StringVar(&o.user, "user", "lab", "who may log in; the password is $VSPHERE_LAB_PASSWORD")
	lease := flag.Float64("lease-timeout", 300, "seconds after which a silent lease ends")
	ready := flag.Float64("lease-delay", 0.05, "seconds until a lease is ready")
	flag.IntVar(&o.areasPage, "areas-page", 2000, "changed areas in one answer")
	flag.BoolVar(&o.readRunning, "read-running", false, "serve -flat.vmdk of running machines too")
	flag.BoolVar(&o.expired, "expired", false, "a certificate that expired yesterday")
	shutdown := flag.Float64("shutdown-delay", 0.2, "seconds a guest takes to shut down")
	flag.BoolVar(&o.verbose, "verbose", false, "log to standard error")
	flag.Parse()
	o.leaseTimeout = seconds(*lease)
	o.readyAfter = seconds(*ready)
	o.shutdown = seconds(*shutdown)
	o.password = os.Getenv("VSPHERE_LAB_PASSWORD")
	if o.password == "" {
		o.password = "lab"
	}
	return o
}

func seconds(count float64) time.Duration { return time.Duration(count * float64(time.Second)) }

func main() {
	o := parseOptions()
	if !o.verbose {
		log.SetOutput(io.Discard)
	}
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "vsphere-lab:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	home, err := os.MkdirTemp(o.folder, "vsphere-lab-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(home)
	// The simulator makes its datastores in the folder for temporary files.
	if err := os.Setenv("TMPDIR", home); err != nil {
		return err
	}
	lab, err := newLab(o, home)
	if err != nil {
		return err
	}
	ready, err := lab.serve()
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(ready); err != nil {
		return err
	}
	waitForEnd()
	lab.model.Remove()
	return nil
}

// waitForEnd returns when standard input is closed or a signal asks for the end.
func waitForEnd() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	closed := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(closed)
	}()
	select {
	case <-signals:
	case <-closed:
	}
}

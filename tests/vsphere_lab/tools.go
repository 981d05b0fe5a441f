package main

import "fmt"

// The keys of extraConfig in which the lab keeps what a guest would know.
const (
	toolsKey = "lab.tools" // "TRUE" where VMware Tools are installed
	deafKey  = "lab.deaf"  // "TRUE" where the guest ignores a shutdown
	// The same as a tag that the driver sets: lab.guest = deaf.
	deafTag = "hypersdk.tag.lab.guest"
)

// deaf tells whether the guest ignores the wish to shut down. Drivers can only set tags.
func (m *machine) deaf() bool {
	return m.setting(deafKey) == "TRUE" || m.setting(deafTag) == "deaf"
}

// setting is a value of extraConfig; empty where there is none.
func (m *machine) setting(key string) string {
	for _, option := range m.Config.ExtraConfig {
		if found := option.GetOptionValue(); found.Key == key {
			return fmt.Sprint(found.Value)
		}
	}
	return ""
}

func fmtAddress(machine, nic int) string {
	return fmt.Sprintf("10.%d.%d.%d", nic%250, machine/250%250, machine%250+1)
}

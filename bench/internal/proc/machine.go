package proc

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// Machine is what a reader must know to judge a number.
type Machine struct {
	CPU        string            `json:"cpu"`
	Cores      int               `json:"cores"`
	Memory     string            `json:"memory"`
	Kernel     string            `json:"kernel"`
	Go         string            `json:"go"`
	Congestion string            `json:"congestion_control"`
	Sysctls    map[string]string `json:"sysctls"`
}

// sysctls are the settings that change what a connection costs on loopback.
var sysctls = []string{
	"net.core.somaxconn",
	"net.ipv4.ip_local_port_range",
	"net.ipv4.tcp_congestion_control",
	"net.ipv4.tcp_rmem",
	"net.ipv4.tcp_tw_reuse",
	"net.ipv4.tcp_wmem",
	"fs.pipe-max-size",
	"fs.pipe-user-pages-soft",
}

// ThisMachine reads /proc. What cannot be read is left empty.
func ThisMachine() Machine {
	m := Machine{
		CPU:     field("/proc/cpuinfo", "model name"),
		Cores:   runtime.NumCPU(),
		Memory:  field("/proc/meminfo", "MemTotal"),
		Kernel:  first("/proc/sys/kernel/osrelease"),
		Go:      runtime.Version(),
		Sysctls: map[string]string{},
	}
	for _, name := range sysctls {
		if v := Sysctl(name); v != "" {
			m.Sysctls[name] = v
		}
	}
	m.Congestion = m.Sysctls["net.ipv4.tcp_congestion_control"]
	return m
}

// String is the machine in a line.
func (m Machine) String() string {
	return fmt.Sprintf("%s, %d cores, %s, Linux %s, %s, congestion control %s",
		m.CPU, m.Cores, m.Memory, m.Kernel, m.Go, m.Congestion)
}

// Sysctl is the value of a kernel setting, blanks made single, or "" where there is none.
func Sysctl(name string) string {
	return strings.Join(strings.Fields(first("/proc/sys/"+strings.ReplaceAll(name, ".", "/"))), " ")
}

// LoadAverage is that of the last minute, 0 where it cannot be read.
func LoadAverage() float64 {
	minute, _, _ := strings.Cut(first("/proc/loadavg"), " ")
	load, _ := strconv.ParseFloat(minute, 64)
	return load
}

// TimeWaits is how many connections of this machine are in TIME_WAIT, 0 where that cannot be read.
func TimeWaits() int {
	f := strings.Fields(field("/proc/net/sockstat", "TCP")) // inuse 5 orphan 0 tw 17 alloc 8 mem 1
	for i := 0; i+1 < len(f); i += 2 {
		if f[i] == "tw" {
			n, _ := strconv.Atoi(f[i+1])
			return n
		}
	}
	return 0
}

func first(file string) string {
	b, _ := os.ReadFile(file)
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}

// field is the value after "name:" in a file of such lines.
func field(file, name string) string {
	b, _ := os.ReadFile(file)
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Package proc measures processes from outside, by what the kernel says under /proc: CPU time, memory and descriptors
// of a balancer with all its workers, and the machine they run on.
//
//	pid ──▶ Tree: pid and every descendant ──▶ CPU    utime + stime, those of reaped children included
//	                                       ├──▶ Memory proportional set size
//	                                       └──▶ FDs    open descriptors
package proc

package certs

import "time"

// Expiry is until when a certificate is good.
type Expiry struct {
	Name     string // the first name that the certificate is for; "" if it is for none
	NotAfter time.Time
	File     string // of the certificate; of a directory or of ACME, the directory
}

// Expiries tells of every certificate of a pair and of ACME of the Sets, and of each directory the one that expires first among
// those that are in memory. Their files and directories come from the configuration, so that they can be labels of metrics. A
// directory is looked at, and told of, once: very many Sets may share it.
func Expiries(sets []*Set) (all []Expiry) {
	seen := map[string]bool{}
	for _, s := range sets {
		for _, c := range s.index.Load().all {
			all = append(all, c.expiry(c.File))
		}
		for _, d := range s.dirs {
			if seen[d.path] {
				continue
			}
			seen[d.path] = true
			if c := d.held().Cert; c != nil {
				all = append(all, c.expiry(d.path))
			}
		}
		if s.acme == nil {
			continue
		}
		for _, name := range s.acme.Names() {
			if list, _ := s.ordered(name); list != nil {
				all = append(all, list[0].expiry(list[0].File))
			}
		}
	}
	return all
}

func (c *Choice) expiry(file string) Expiry {
	e := Expiry{NotAfter: c.NotAfter, File: file}
	if len(c.Names) > 0 {
		e.Name = c.Names[0]
	}
	return e
}

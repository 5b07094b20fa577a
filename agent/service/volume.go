package service

import "fmt"

// VolumePath gives the directory where a volume of the machine is mounted, by its name in the catalogue. One that is not there yet is a
// *Waiting: what belongs on a volume must never be written to the disk of the machine.
func VolumePath(n Node, name string) (string, error) {
	for _, v := range n.Volumes {
		if v.Name == name {
			return v.Path, nil
		}
	}
	return "", &Waiting{For: fmt.Sprintf("its volume %s is not mounted yet", name)}
}

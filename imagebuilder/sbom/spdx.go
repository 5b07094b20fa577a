package sbom

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"time"
)

// Image is what a bill of materials is about.
type Image struct {
	Name         string // for example "rootfs of debian-12 with php"
	SHA256       string // of its file, in hexadecimal digits
	Container    bool   // else it is the disk of a machine
	Distribution string // as a package URL names it, for example debian-12
	Created      time.Time
	Tool         string // what made it, with its version
}

// The parts of a document by SPDX 2.3 (https://spdx.github.io/spdx-spec/v2.3) that are used here.
type document struct {
	Version       string         `json:"spdxVersion"`
	License       string         `json:"dataLicense"`
	ID            string         `json:"SPDXID"`
	Name          string         `json:"name"`
	Namespace     string         `json:"documentNamespace"`
	Creation      creation       `json:"creationInfo"`
	Packages      []element      `json:"packages"`
	Relationships []relationship `json:"relationships"`
}

type creation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type element struct {
	Name      string      `json:"name"`
	ID        string      `json:"SPDXID"`
	Version   string      `json:"versionInfo,omitempty"`
	Location  string      `json:"downloadLocation"`
	Analyzed  bool        `json:"filesAnalyzed"`
	Declared  string      `json:"licenseDeclared"`
	Concluded string      `json:"licenseConcluded"`
	Copyright string      `json:"copyrightText"`
	Source    string      `json:"sourceInfo,omitempty"`
	Purpose   string      `json:"primaryPackagePurpose,omitempty"`
	Checksums []checksum  `json:"checksums,omitempty"`
	External  []reference `json:"externalRefs,omitempty"`
}

type checksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type reference struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type relationship struct {
	From string `json:"spdxElementId"`
	Kind string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

const (
	unsaid   = "NOASSERTION"
	docID    = "SPDXRef-DOCUMENT"
	imageID  = "SPDXRef-Image"
	docPlace = "https://spdx.org/spdxdocs/conpaas-image-"
)

var notInID = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

// SPDX writes the bill of materials of an image with these contents. The licences are in the image itself, below
// /usr/share/doc.
func (c Contents) SPDX(w io.Writer, i Image) error {
	purpose := "OPERATING-SYSTEM"
	if i.Container {
		purpose = "CONTAINER"
	}
	image := blank(i.Name, imageID)
	image.Purpose, image.Checksums = purpose, []checksum{{"SHA256", i.SHA256}}
	doc := document{
		Version: "SPDX-2.3", License: "CC0-1.0", ID: docID, Name: i.Name, Namespace: docPlace + i.SHA256,
		Creation: creation{i.Created.UTC().Format(time.RFC3339), []string{"Tool: " + i.Tool}},
		Packages: []element{image}, Relationships: []relationship{{docID, "DESCRIBES", imageID}},
	}
	for n, p := range c.Packages {
		e := blank(p.Name, fmt.Sprintf("SPDXRef-Package-%d-%s", n+1, notInID.ReplaceAllString(p.Name, "-")))
		e.Version, e.Source = p.Version, "built from the source package "+p.Source
		e.External = []reference{{"PACKAGE-MANAGER", "purl", p.purl(i.Distribution)}}
		doc.Packages = append(doc.Packages, e)
		doc.Relationships = append(doc.Relationships, relationship{imageID, "CONTAINS", e.ID})
	}
	out := json.NewEncoder(w)
	out.SetIndent("", " ")
	out.SetEscapeHTML(false)
	return out.Encode(doc)
}

func blank(name, id string) element {
	return element{Name: name, ID: id, Location: unsaid, Declared: unsaid, Concluded: unsaid, Copyright: unsaid}
}

// purl gives the package URL (https://github.com/package-url/purl-spec, type deb).
func (p Package) purl(distribution string) string {
	return fmt.Sprintf("pkg:deb/debian/%s@%s?arch=%s&distro=%s",
		url.QueryEscape(p.Name), url.QueryEscape(p.Version), url.QueryEscape(p.Architecture), url.QueryEscape(distribution))
}

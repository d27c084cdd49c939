package supervisor

import (
	"encoding/json"
	"io"
	"os"

	"doclusteraccess.dev/testbed/controlplane/internal/process"
)

// announcement is the line that tells the one who started the control plane where it is.
type announcement struct {
	Server     string                        `json:"server"`
	Kubeconfig string                        `json:"kubeconfig"`
	CAFile     string                        `json:"caFile"`
	AuditLog   string                        `json:"auditLog"`
	Dir        string                        `json:"dir"`
	Kubectl    []string                      `json:"kubectl"`
	PID        int                           `json:"pid"`
	Components map[string]announcedComponent `json:"components"`
}

type announcedComponent struct {
	PID int    `json:"pid"`
	Log string `json:"log"`
}

func announce(output io.Writer, l layout, started []*process.Child) error {
	components := map[string]announcedComponent{}
	for _, child := range started {
		components[child.Name] = announcedComponent{PID: child.PID(), Log: child.LogPath}
	}
	return json.NewEncoder(output).Encode(announcement{
		Server:     l.server(),
		Kubeconfig: l.kubeconfig(administrator),
		CAFile:     l.certificates.CertificateAuthority,
		AuditLog:   l.auditLog(),
		Dir:        l.directory,
		Kubectl:    executable("kubectl"),
		PID:        os.Getpid(),
		Components: components,
	})
}

package admin

// Sysdump is what a running anyport adds to `anyport sysdump`. Secrets of the files that it has read so far
// are masked: a line of the log may quote one of a file that has changed since.
type Sysdump struct {
	Status      Status   `json:"status"`
	Log         []string `json:"log"`           // the newest lines, the oldest first, without their ends
	LogOmitted  uint64   `json:"log_omitted"`   // lines before these
	LogMostKept int      `json:"log_most_kept"` // lines that are kept at most

	Table string `json:"table,omitempty"` // of the source of [fleet], in service
}

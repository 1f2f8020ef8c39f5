package fastflow

// Left is a flow that a process before has admitted, and that the kernel still forwards.
type Left struct {
	Flow  Flow
	Usage Usage
}

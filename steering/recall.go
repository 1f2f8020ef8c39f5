package steering

import (
	"fmt"

	"anyport/steering/table"
)

// recall learns from the maps what another process has put in service.
func (s *Steering) recall() (err error) {
	if err := s.objects.Generation.Lookup(uint32(0), &s.generation); err != nil {
		return fmt.Errorf("read the generation: %w", err)
	}
	s.table, s.leftover = table.Unknown, table.Unknown
	s.numbers, err = s.half(s.generation).Numbers()
	return err
}

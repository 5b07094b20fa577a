package store

// freeName gives ErrAlike when another row of the same owner has a name that differs in case alone: people and scripts
// would take one for the other. The same name is the database's to refuse. self is the id of the row that is to have the
// name, 0 for a new one.
func (tx *Tx) freeName(row any, name string, self int64, where string, owner int64) error {
	var alike int64
	err := tx.db.Model(row).Where(where, owner).Where("id <> ? AND name <> ? AND lower(name) = lower(?)", self, name, name).Count(&alike).Error
	if err != nil {
		return rowError(err, "names like %q", name)
	}
	if alike > 0 {
		return ErrAlike
	}
	return nil
}

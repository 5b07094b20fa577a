package store

import "conpaas/client/api"

// Count is how many rows have the same two properties.
type Count struct {
	First, Second string
	Count         int
}

// Figures are counts over the whole installation.
type Figures struct {
	Applications []Count // by state
	Nodes        []Count // that are not gone, by cloud and state
	Operations   []Count // that are not pruned, by kind and state
	Credit       int64   // of all ordinary users
	Machines     int64   // that cost
}

// Figures counts what there is.
func (r *Read) Figures() (f Figures, err error) {
	for _, q := range []struct {
		into                 *[]Count
		table, first, second string
		where                string
	}{
		{&f.Applications, "applications", "state", "''", "1 = 1"},
		{&f.Nodes, "nodes", "cloud", "state", notGone},
		{&f.Operations, "operations", "kind", "state", "1 = 1"},
	} {
		err := r.db.Table(q.table).Select(q.first + " AS first, " + q.second + " AS second, count(*) AS count").
			Where(q.where).Group("1, 2").Order("1, 2").Scan(q.into).Error
		if err != nil {
			return f, rowError(err, "count %s", q.table)
		}
	}
	err = r.db.Raw("SELECT coalesce(sum(balance), 0) FROM credits WHERE user_id IN (SELECT id FROM users WHERE role <> ?)", string(api.RoleAdmin)).Scan(&f.Credit).Error
	if err == nil {
		err = r.db.Model(&meterRow{}).Where("NOT vacant").Count(&f.Machines).Error
	}
	return f, rowError(err, "count the credit")
}

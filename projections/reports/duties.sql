-- What the person owes (reporting in, here or at a new place) is not the officer's duty. A duty that was excused or
-- cancelled by the day is not owed. One that was fulfilled after the day was still open on it.
-- Duties are a ledger: a line counts as often as its sign says, and what was taken back adds up to nothing.
SELECT
    officer, village,
    sum(sign) AS owed,
    sumIf(sign, fulfilled) AS done,
    sumIf(sign, fulfilled AND on_time) AS done_on_time,
    sumIf(sign, fulfilled AND NOT on_time) AS done_late,
    sumIf(sign, NOT fulfilled AND due < {on:Date32}) AS overdue,
    sumIf(sign, NOT fulfilled AND due >= {on:Date32}) AS pending
FROM
(
    SELECT officer, village, due, on_time, sign, status = 'done' AND ended <= {on:Date32} AS fulfilled
    FROM yidang_duties_at(at = {position:UInt64})
    WHERE due BETWEEN {from:Date32} AND {to:Date32} AND began <= {on:Date32} AND code NOT IN ('report-in', 'move-report')
        AND NOT (status IN ('excused', 'cancelled') AND ended <= {on:Date32})
        AND ({officer:UUID} = toUUIDOrZero('') OR officer = {officer:UUID})
        AND ({village:UUID} = toUUIDOrZero('') OR village = {village:UUID})
)
GROUP BY officer, village
HAVING owed > 0
ORDER BY officer, village

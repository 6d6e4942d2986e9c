-- The township's midnight is 16:00 in UTC of the day before.
WITH subtractHours(toDateTime64({date:Date32}, 3, 'UTC'), 8) AS deadline
SELECT
    actor AS officer, village,
    countIf(recorded >= subtractHours(deadline, {hours:UInt32})) AS n,
    countIf(recorded >= subtractHours(deadline, {hours:UInt32}) AND lag >= {days:UInt32} * 86400) AS late_entries,
    count() AS of_entries
FROM yidang_facts_at(at = {position:UInt64})
WHERE case != toUUIDOrZero('')
    AND type NOT IN ('record.voided', 'record.corrected', 'record.proposed', 'record.approved', 'record.rejected', 'record.erased',
        'casework.handover_accepted', 'casework.handover_declined', 'casework.duty_excused')
    AND late != 'import' AND recorded < deadline
    AND recorded_day >= least({from:Date32}, toDate32(subtractHours(toDateTime64({date:Date32}, 3, 'UTC'), {hours:UInt32}))) AND recorded_day < {date:Date32}
    AND ({officer:UUID} = toUUIDOrZero('') OR actor = {officer:UUID})
GROUP BY actor, village
HAVING n > 0
ORDER BY n DESC, officer, village

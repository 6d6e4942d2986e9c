-- Entries that carry a day of their own. What happens only by being recorded has no lag and would flatter the figure;
-- what was taken over from an older register is counted, but kept out of the lags.
SELECT
    actor AS officer,
    count() AS entries,
    countIf(late = 'import') AS imported,
    entries - imported AS current,
    quantileExactIf(0.5)(lag, late != 'import') AS median,
    quantileExactIf(0.9)(lag, late != 'import') AS ninth_decile,
    maxIf(lag, late != 'import') AS longest,
    countIf(late NOT IN ('', 'import')) AS entered_late,
    countIf(late = 'no-network') AS no_network,
    countIf(late = 'paper-first') AS paper_first,
    countIf(late = 'officer-absent') AS officer_absent,
    countIf(late = 'received-late') AS received_late
FROM yidang_facts_at(at = {position:UInt64})
WHERE case != toUUIDOrZero('')
    AND type NOT IN ('record.voided', 'record.corrected', 'record.proposed', 'record.approved', 'record.rejected', 'record.erased',
        'casework.handover_accepted', 'casework.handover_declined', 'casework.duty_excused')
    AND recorded_day BETWEEN {from:Date32} AND {to:Date32}
    AND ({officer:UUID} = toUUIDOrZero('') OR actor = {officer:UUID})
GROUP BY actor
ORDER BY actor

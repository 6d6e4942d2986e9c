-- A burst is made of stretches: an entry with the {at_least} - 1 that follow it, all within {minutes}. Stretches that share
-- an entry are one burst. Both are told by a running total of the entries that begin a stretch: an entry is in a burst when
-- it or one of the {at_least} - 1 before it does; it begins the burst when none of those before it does. Entries of one
-- moment come in any order: they are in a burst all or none.
WITH {at_least:UInt32} AS n
SELECT
    officer, min(entry.1) AS first, count() AS entries, uniqExact(entry.3) AS people,
    dateDiff('second', min(entry.1), max(entry.1)) AS span, countIf(entry.2) AS late_entries
FROM
(
    SELECT
        officer, list,
        arrayMap((a, b) -> b.1 <= addMinutes(a.1, {minutes:UInt32}), arraySlice(list, 1, length(list) - n + 1), arraySlice(list, n)) AS starts,
        arrayCumSum(arrayResize(starts, length(list))) AS total,
        arrayPopBack(arrayPushFront(total, 0)) AS one_before,
        arrayResize(arrayConcat(arrayWithConstant(n, 0), total), length(list)) AS n_before,
        arrayMap((t, b) -> t > b, total, n_before) AS covered,
        arrayCumSum(arrayMap((c, o, b) -> c AND o = b, covered, one_before, n_before)) AS bursts
    FROM
    (
        SELECT actor AS officer, arraySort(e -> toUnixTimestamp64Milli(e.1), groupArray((recorded, late != '', person))) AS list
        FROM yidang_facts_at(at = {position:UInt64})
        WHERE type = 'casework.visit_recorded' AND late != 'import' AND recorded_day BETWEEN {from:Date32} AND {to:Date32}
            AND ({officer:UUID} = toUUIDOrZero('') OR actor = {officer:UUID})
        GROUP BY actor
        HAVING count() >= n
    )
)
ARRAY JOIN list AS entry, covered AS in_burst, bursts AS burst
WHERE in_burst
GROUP BY officer, burst
ORDER BY officer, first

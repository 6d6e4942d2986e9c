-- Each visit with the one before it by the same officer; of one moment, in log order. A pair of villages is the same both
-- ways.
SELECT
    officer, least(pair.1.2, pair.2.2) AS village, greatest(pair.1.2, pair.2.2) AS other_village,
    count() AS pairs, min(dateDiff('second', pair.1.1, pair.2.1)) AS shortest, min(pair.2.3) AS first, max(pair.2.3) AS last
FROM
(
    SELECT
        officer,
        arrayJoin(arrayFilter(p -> p.1.2 != p.2.2 AND p.2.1 < addMinutes(p.1.1, {minutes:UInt32}), arrayZip(arrayPopBack(list), arrayPopFront(list)))) AS pair
    FROM
    (
        SELECT
            actor AS officer,
            arraySort(v -> toInt128(toUnixTimestamp64Milli(v.1)) * 1099511627776 + v.4, groupArray((occurred, village, day, position))) AS list
        FROM yidang_facts_at(at = {position:UInt64})
        WHERE type = 'casework.visit_recorded' AND late != 'import' AND village != toUUIDOrZero('') AND day BETWEEN {from:Date32} AND {to:Date32}
            AND ({officer:UUID} = toUUIDOrZero('') OR actor = {officer:UUID})
        GROUP BY actor
    )
)
GROUP BY officer, village, other_village
ORDER BY officer, pairs DESC, village, other_village

-- A test counts once, in the month it was taken, under the newest result known: a re-examination replaces the first one.
SELECT
    month, tier, kind, final AS result,
    count() AS tests,
    countIf(final != first) AS changed,
    sum(count()) OVER (PARTITION BY month, tier, kind) AS of_tests
FROM
(
    SELECT
        toStartOfMonth(t.day) AS month, t.tier AS tier, t.kind AS kind, t.result AS first,
        if(r.result = '', t.result, r.result) AS final
    FROM yidang_facts_at(at = {position:UInt64}) AS t
    LEFT ANY JOIN
    (
        SELECT ref, argMax(result, position) AS result
        FROM yidang_facts_at(at = {position:UInt64})
        WHERE type = 'drugs.urine_test_retested'
        GROUP BY ref
    ) AS r ON t.ref = r.ref
    WHERE t.type = 'drugs.urine_test_recorded' AND t.day BETWEEN {from:Date32} AND {to:Date32}
        AND ({village:UUID} = toUUIDOrZero('') OR t.village = {village:UUID})
)
GROUP BY month, tier, kind, final
ORDER BY month, tier, kind, result

-- A figure is the same question asked at two positions. It differs only where words differ: those on events that came after
-- the earlier position, and those on earlier events that were amended since. So the figures are counted whole once, at the
-- earlier position, and what changed is derived from those words: everything that one of them is about (a visit, a test, a
-- case) is counted at both positions, and what counts in another place has changed, because of the words about it. Of duties
-- the ledger tells it all: its lines since the earlier position are the change, each at the position of the event behind it.
-- What several figures need is derived once; without that (ClickHouse before 26) it would be five times as slow.
WITH
    amended AS MATERIALIZED
    (
        SELECT a.position AS position, (a.known, if(e.type = 'record.voided', 'voided', 'corrected'), e.event) AS cause
        FROM yidang_amended_at(at = {position:UInt64}) AS a
        INNER JOIN (SELECT position, type, event FROM yidang_facts_at(at = {position:UInt64}) WHERE position > {from_position:UInt64}) AS e ON a.known = e.position
        WHERE a.known > {from_position:UInt64} AND a.position <= {from_position:UInt64}
    ),
    words AS MATERIALIZED
    (
        SELECT -1 AS side, f.position AS position, f.type AS type, f.day AS day, f.case AS file, f.ref AS ref, f.sets_open OR f.sets_village OR f.sets_tier AS moves, a.cause AS cause
        FROM yidang_facts_at(at = {from_position:UInt64}) AS f INNER JOIN amended AS a ON f.position = a.position
        WHERE f.position IN (SELECT position FROM amended)
        UNION ALL
        SELECT 1, f.position, f.type, f.day, f.case, f.ref, f.sets_open OR f.sets_village OR f.sets_tier, a.cause
        FROM yidang_facts_at(at = {position:UInt64}) AS f INNER JOIN amended AS a ON f.position = a.position
        WHERE f.position IN (SELECT position FROM amended)
        UNION ALL
        SELECT 1, position, type, day, case, ref, sets_open OR sets_village OR sets_tier,
            (position, multiIf(type = 'record.voided', 'voided', type = 'record.corrected', 'corrected', day <= {on:Date32}, 'entered', 'happened'), event)
        FROM yidang_facts_at(at = {position:UInt64})
        WHERE position > {from_position:UInt64}
    ),
    tests AS MATERIALIZED
    (
        SELECT side, ref, toStartOfMonth(t.day) AS month, if(r.result = '', t.result, r.result) AS result
        FROM
        (
            SELECT -1 AS side, day, ref, result FROM yidang_facts_at(at = {from_position:UInt64}) WHERE type = 'drugs.urine_test_recorded' AND day <= {on:Date32}
            UNION ALL
            SELECT 1, day, ref, result FROM yidang_facts_at(at = {position:UInt64})
            WHERE type = 'drugs.urine_test_recorded' AND day <= {on:Date32} AND ref IN (SELECT ref FROM words WHERE type IN ('drugs.urine_test_recorded', 'drugs.urine_test_retested'))
        ) AS t
        LEFT ANY JOIN
        (
            SELECT -1 AS side, ref, argMax(result, position) AS result FROM yidang_facts_at(at = {from_position:UInt64}) WHERE type = 'drugs.urine_test_retested' GROUP BY ref
            UNION ALL
            SELECT 1, ref, argMax(result, position) FROM yidang_facts_at(at = {position:UInt64}) WHERE type = 'drugs.urine_test_retested' GROUP BY ref
        ) AS r ON t.side = r.side AND t.ref = r.ref
    ),
    cases AS MATERIALIZED
    (
        SELECT -1 AS side, f.case AS file, argMaxIf(f.open, f.position, f.sets_open) AS open,
            argMaxIf(f.village, f.position, f.sets_village) AS village, argMaxIf(f.tier, f.position, f.sets_tier) AS tier
        FROM yidang_facts_at(at = {from_position:UInt64}) AS f
        WHERE f.day <= {on:Date32} AND f.case != toUUIDOrZero('') AND (f.sets_open OR f.sets_village OR f.sets_tier)
        GROUP BY f.case
        UNION ALL
        SELECT 1, f.case, argMaxIf(f.open, f.position, f.sets_open), argMaxIf(f.village, f.position, f.sets_village), argMaxIf(f.tier, f.position, f.sets_tier)
        FROM yidang_facts_at(at = {position:UInt64}) AS f
        WHERE f.day <= {on:Date32} AND f.case != toUUIDOrZero('') AND (f.sets_open OR f.sets_village OR f.sets_tier)
            AND f.case IN (SELECT file FROM words WHERE moves AND day <= {on:Date32})
        GROUP BY f.case
    ),
    duties AS
    (
        SELECT position, sign, toStartOfMonth(due) AS month, if(status = 'done' AND ended <= {on:Date32}, 'duties_done', 'duties_overdue') AS measure
        FROM yidang_duties_at(at = {position:UInt64})
        WHERE (due < {on:Date32} OR status = 'done' AND ended <= {on:Date32})
            AND began <= {on:Date32} AND code NOT IN ('report-in', 'move-report') AND NOT (status IN ('excused', 'cancelled') AND ended <= {on:Date32})
    )
SELECT
    measure, village, tier, if(month = toDate32('1970-01-01'), '', substring(toString(month), 1, 7)) AS month, result,
    was, became,
    arrayCount(c -> c.2 = 'entered', causes) AS entered_since,
    arrayCount(c -> c.2 = 'voided', causes) AS voided,
    arrayCount(c -> c.2 = 'corrected', causes) AS corrected,
    arrayCount(c -> c.2 = 'happened', causes) AS happened_since,
    arrayMap(c -> c.3, arraySlice(causes, -100)) AS entries
FROM
(
    SELECT
        measure, village, tier, month, result,
        sum(old) AS was, was + sum(delta) AS became,
        arraySort(arrayFilter(c -> c.2 != '', groupUniqArrayArray(causes))) AS causes
    FROM
    (
        SELECT 'visits' AS measure, toUUIDOrZero('') AS village, '' AS tier, toStartOfMonth(day)::Date32 AS month, '' AS result,
            toInt64(count()) AS old, 0::Int64 AS delta, []::Array(Tuple(UInt64, String, UUID)) AS causes
        FROM yidang_facts_at(at = {from_position:UInt64})
        WHERE type = 'casework.visit_recorded' AND day <= {on:Date32}
        GROUP BY month
        UNION ALL
        SELECT 'visits', toUUIDOrZero(''), '', toStartOfMonth(day)::Date32 AS month, '', 0, sum(side) AS delta, [any(cause)]
        FROM words WHERE type = 'casework.visit_recorded' AND day <= {on:Date32}
        GROUP BY position, month
        HAVING delta != 0
        UNION ALL
        SELECT 'urine_tests', toUUIDOrZero(''), '', month::Date32, result::String, -sum(side), 0, []
        FROM tests WHERE side = -1
        GROUP BY month, result
        UNION ALL
        SELECT 'urine_tests', toUUIDOrZero(''), '', month::Date32, result::String, 0, delta, causes
        FROM
        (
            SELECT ref, month, result, sum(side) AS delta FROM tests
            WHERE ref IN (SELECT ref FROM words WHERE type IN ('drugs.urine_test_recorded', 'drugs.urine_test_retested'))
            GROUP BY ref, month, result
            HAVING delta != 0
        ) AS t
        INNER JOIN (SELECT ref, groupUniqArray(cause) AS causes FROM words WHERE type IN ('drugs.urine_test_recorded', 'drugs.urine_test_retested') GROUP BY ref) AS w ON t.ref = w.ref
        UNION ALL
        SELECT 'open_cases', village, if(tier = '', 'none', tier)::String AS tier, toDate32('1970-01-01'), '', -sum(side), 0, []
        FROM cases WHERE side = -1 AND open
        GROUP BY village, tier
        UNION ALL
        SELECT 'open_cases', village, if(tier = '', 'none', tier)::String, toDate32('1970-01-01'), '', 0, delta, causes
        FROM
        (
            SELECT file, village, tier, sum(side) AS delta FROM cases
            WHERE open AND file IN (SELECT file FROM words WHERE moves AND day <= {on:Date32})
            GROUP BY file, village, tier
            HAVING delta != 0
        ) AS c
        INNER JOIN (SELECT file, groupUniqArray(cause) AS causes FROM words WHERE moves AND day <= {on:Date32} GROUP BY file) AS w ON c.file = w.file
        UNION ALL
        SELECT measure, toUUIDOrZero(''), '', month::Date32, '', sumIf(sign, position <= {from_position:UInt64}), 0, []
        FROM duties
        GROUP BY measure, month
        UNION ALL
        SELECT measure, toUUIDOrZero(''), '', month::Date32, '', 0, delta, [cause]
        FROM
        (
            SELECT position, measure, month, sum(sign) AS delta FROM duties
            WHERE position > {from_position:UInt64}
            GROUP BY position, measure, month
            HAVING delta != 0
        ) AS d
        LEFT ANY JOIN (SELECT position, cause FROM words WHERE position > {from_position:UInt64}) AS w ON d.position = w.position
    )
    GROUP BY measure, village, tier, month, result
    HAVING became != was
)
ORDER BY measure, village, tier, month, result
SETTINGS enable_materialized_cte = 1

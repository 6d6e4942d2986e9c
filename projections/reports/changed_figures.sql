-- A figure is the same question asked at two positions. It differs only where words differ: those on events that came after
-- the earlier position, and those on earlier events that were amended since. So every earlier word is read once, at the
-- earlier position. What counts at the later one is what counted then, without the words that were amended, with the words
-- that differ. Everything that one of them is about (a visit, a test, a case) is counted by itself, at both positions, and
-- what counts in another place has changed, because of the words about it; all the rest is counted together. Of duties the
-- ledger tells it all: its lines since the earlier position are the change, each at the position of the event behind it.
-- The engine analyses an expression anew wherever it is named, with all that it names: half of the time went there. So each
-- names few, and words, the widest, is named once by each figure.
WITH
    words AS MATERIALIZED
    (
        SELECT w.*, if(w.position > {from_position:UInt64},
            (w.position, multiIf(w.type = 'record.voided', 'voided', w.type = 'record.corrected', 'corrected', w.day <= {on:Date32}, 'entered', 'happened'), w.event),
            (a.known, multiIf(a.type = '', '', a.type = 'record.voided', 'voided', 'corrected'), a.event)) AS cause
        FROM
        (
            SELECT -1 AS side, position, event, type::String AS type, day, case AS file, ref, result::String AS result, open, village, tier::String AS tier, sets_open, sets_village, sets_tier
            FROM yidang_facts_at(at = {from_position:UInt64})
            WHERE position IN (SELECT position FROM yidang_amended_at(at = {position:UInt64}) WHERE known > {from_position:UInt64} AND position <= {from_position:UInt64})
            UNION ALL
            SELECT 1, position, event, type::String, day, case, ref, result::String, open, village, tier::String, sets_open, sets_village, sets_tier
            FROM yidang_facts_at(at = {position:UInt64})
            WHERE position > {from_position:UInt64}
                OR position IN (SELECT position FROM yidang_amended_at(at = {position:UInt64}) WHERE known > {from_position:UInt64} AND position <= {from_position:UInt64})
        ) AS w
        LEFT ANY JOIN
        (
            SELECT m.position AS position, m.known AS known, e.type::String AS type, e.event AS event
            FROM yidang_amended_at(at = {position:UInt64}) AS m
            LEFT ANY JOIN (SELECT position, type, event FROM yidang_facts_at(at = {position:UInt64}) WHERE position > {from_position:UInt64}) AS e ON m.known = e.position
            WHERE m.known > {from_position:UInt64} AND m.position <= {from_position:UInt64}
        ) AS a ON w.position = a.position
    ),
    -- Tests and their newest results; stays tells what counts at the later position too.
    tests AS
    (
        SELECT ref, month, result, arrayJoin(if(stays, [-1, 1], [-1])) AS side
        FROM
        (
            SELECT ref, toStartOfMonth(day)::Date32 AS month, result::String AS result,
                position NOT IN (SELECT position FROM yidang_amended_at(at = {position:UInt64}) WHERE known > {from_position:UInt64}) AS stays
            FROM yidang_facts_at(at = {from_position:UInt64})
            WHERE type = 'drugs.urine_test_recorded' AND day <= {on:Date32}
        )
        UNION ALL
        SELECT ref, toStartOfMonth(day)::Date32, result, 1 FROM words WHERE side = 1 AND type = 'drugs.urine_test_recorded' AND day <= {on:Date32}
    ),
    retests AS
    (
        SELECT ref, argMaxIf(result, position, then) AS result_then, argMaxIf(result, position, now) AS result_now
        FROM
        (
            SELECT position, ref, result::String AS result, true AS then,
                position NOT IN (SELECT position FROM yidang_amended_at(at = {position:UInt64}) WHERE known > {from_position:UInt64}) AS now
            FROM yidang_facts_at(at = {from_position:UInt64})
            WHERE type = 'drugs.urine_test_retested'
            UNION ALL
            SELECT position, ref, result, false, true FROM words WHERE side = 1 AND type = 'drugs.urine_test_retested'
        )
        GROUP BY ref
    ),
    cases AS
    (
        SELECT file,
            arrayJoin([
                (-1, argMaxIf(open, position, sets_open AND then), argMaxIf(village, position, sets_village AND then), argMaxIf(tier, position, sets_tier AND then)),
                (1, argMaxIf(open, position, sets_open AND now), argMaxIf(village, position, sets_village AND now), argMaxIf(tier, position, sets_tier AND now))]) AS stands
        FROM
        (
            SELECT position, case AS file, open, village, tier::String AS tier, sets_open, sets_village, sets_tier, true AS then,
                position NOT IN (SELECT position FROM yidang_amended_at(at = {position:UInt64}) WHERE known > {from_position:UInt64}) AS now
            FROM yidang_facts_at(at = {from_position:UInt64})
            WHERE (sets_open OR sets_village OR sets_tier) AND day <= {on:Date32} AND case != toUUIDOrZero('')
            UNION ALL
            SELECT position, file, open, village, tier, sets_open, sets_village, sets_tier, false, true
            FROM words
            WHERE side = 1 AND (sets_open OR sets_village OR sets_tier) AND day <= {on:Date32} AND file != toUUIDOrZero('')
        )
        GROUP BY file
    ),
    duties AS
    (
        SELECT position, sign, toStartOfMonth(due)::Date32 AS month, status = 'done' AND ended <= {on:Date32} AS done
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
        SELECT 'urine_tests', toUUIDOrZero(''), '', month, counted, old, delta, if(delta = 0, [], causes)
        FROM
        (
            SELECT w.ref AS about, t.month AS month, coalesce(nullIf(if(t.side = -1, r.result_then, r.result_now), ''), t.result) AS counted,
                toInt64(countIf(t.side = -1)) AS old, sum(t.side) AS delta, any(w.causes) AS causes
            FROM tests AS t
            LEFT ANY JOIN retests AS r ON t.ref = r.ref
            LEFT ANY JOIN (SELECT ref, groupUniqArray(cause) AS causes FROM words WHERE type IN ('drugs.urine_test_recorded', 'drugs.urine_test_retested') GROUP BY ref) AS w ON t.ref = w.ref
            GROUP BY about, month, counted
        )
        UNION ALL
        SELECT 'open_cases', village, if(tier = '', 'none', tier), toDate32('1970-01-01'), '', old, delta, if(delta = 0, [], causes)
        FROM
        (
            SELECT w.file AS about, c.stands.3 AS village, c.stands.4 AS tier, toInt64(countIf(c.stands.1 = -1)) AS old, sum(c.stands.1) AS delta, any(w.causes) AS causes
            FROM cases AS c
            LEFT ANY JOIN (SELECT file, groupUniqArray(cause) AS causes FROM words WHERE (sets_open OR sets_village OR sets_tier) AND day <= {on:Date32} GROUP BY file) AS w ON c.file = w.file
            WHERE c.stands.2
            GROUP BY about, village, tier
        )
        UNION ALL
        SELECT if(done, 'duties_done', 'duties_overdue'), toUUIDOrZero(''), '', month, '', sum(sign), 0, []
        FROM duties WHERE position <= {from_position:UInt64}
        GROUP BY done, month
        UNION ALL
        SELECT if(done, 'duties_done', 'duties_overdue'), toUUIDOrZero(''), '', month, '', 0, delta, [cause]
        FROM
        (
            SELECT position, done, month, sum(sign) AS delta FROM duties
            WHERE position > {from_position:UInt64}
            GROUP BY position, done, month
            HAVING delta != 0
        ) AS d
        LEFT ANY JOIN (SELECT position, cause FROM words WHERE position > {from_position:UInt64}) AS w ON d.position = w.position
    )
    GROUP BY measure, village, tier, month, result
    HAVING became != was
)
ORDER BY measure, village, tier, month, result
SETTINGS enable_materialized_cte = 1

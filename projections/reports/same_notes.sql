-- What the hashes can tell: that two notes were the same letters, numbers aside, or shared most of their trigrams. What they
-- cannot: a word of either. Without the vault's key nobody can try a guess against them; with it one can, as against every
-- keyed hash. Notes under eight letters have none, since a handful of phrases makes up most of those, and how often a hash
-- comes would tell which phrase it is.
--
-- Near notes form groups: each visit takes the earliest visit with which it shares one of the four near hashes, and then the
-- earliest that any of those took, so that what changed little by little holds together.
WITH
    visits AS MATERIALIZED
    (
        SELECT actor, position, person, day, note, if({likeness:String} = 'same', [note], [note_near1, note_near2, note_near3, note_near4]) AS near
        FROM yidang_facts_at(at = {position:UInt64})
        WHERE note_length >= toUInt16({length:String}) AND type = 'casework.visit_recorded' AND day BETWEEN {from:Date32} AND {to:Date32}
            AND ({officer:UUID} = toUUIDOrZero('') OR actor = {officer:UUID})
    ),
    marks AS (SELECT position, cityHash64(actor, arrayJoin(near)) AS mark FROM visits),
    shared AS MATERIALIZED
    (
        SELECT mark, groupArray(position) AS members, min(position) AS earliest FROM marks
        WHERE mark IN (SELECT mark FROM marks GROUP BY mark HAVING count() > 1)
        GROUP BY mark
    )
SELECT
    v.actor AS officer, count() AS alike, any(o.visits) AS of_visits, uniqExact(v.note) AS texts, uniqExact(v.person) AS people,
    min(v.day) AS first, max(v.day) AS last
FROM visits AS v
INNER JOIN
(
    SELECT position, min(root) AS root
    FROM
    (
        SELECT arrayJoin(any(members)) AS position, min(first_root) AS root
        FROM (SELECT mark, members, arrayJoin(members) AS position FROM shared) AS s
        INNER JOIN (SELECT arrayJoin(members) AS position, min(earliest) AS first_root FROM shared GROUP BY position) AS r ON s.position = r.position
        GROUP BY mark
    )
    GROUP BY position
) AS g ON v.position = g.position
INNER JOIN (SELECT actor, count() AS visits FROM visits GROUP BY actor) AS o ON v.actor = o.actor
GROUP BY v.actor, g.root
HAVING alike >= {at_least:UInt32}
ORDER BY officer, alike DESC, first, g.root
SETTINGS enable_materialized_cte = 1

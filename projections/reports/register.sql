-- Where each case stood on the day: the newest entry, in log order, that set each of the four things and had happened by
-- then. This is what a file shows when it is read as of that day.
SELECT
    program, village, tier,
    count() AS cases,
    uniqExact(person) AS people,
    countIf(lead != toUUIDOrZero('')) AS led
FROM
(
    SELECT
        any(f.category) AS program,
        any(f.person) AS person,
        argMaxIf(f.open, f.position, f.sets_open) AS open,
        argMaxIf(f.village, f.position, f.sets_village) AS village,
        argMaxIf(f.tier, f.position, f.sets_tier) AS tier,
        argMaxIf(f.lead, f.position, f.sets_lead) AS lead
    FROM yidang_facts_at(at = {position:UInt64}) AS f
    WHERE f.day <= {on:Date32} AND f.case != toUUIDOrZero('') AND (f.sets_open OR f.sets_village OR f.sets_tier OR f.sets_lead)
    GROUP BY f.case
)
WHERE open AND ({village:UUID} = toUUIDOrZero('') OR village = {village:UUID})
GROUP BY program, village, tier
ORDER BY program, village, tier

SELECT
    prev_tier, tier,
    count() AS movements,
    uniqExact(case) AS cases,
    sum(count()) OVER (PARTITION BY prev_tier) AS from_movements
FROM yidang_facts_at(at = {position:UInt64})
WHERE sets_tier AND day BETWEEN {from:Date32} AND {to:Date32}
    AND ({village:UUID} = toUUIDOrZero('') OR village = {village:UUID})
GROUP BY prev_tier, tier
ORDER BY prev_tier, tier

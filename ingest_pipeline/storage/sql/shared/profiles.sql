-- name: save_profiles
-- Keep a reading's profile where it is news. An earlier reading only adds what no later one had.
INSERT INTO profiles (kind, entity_id, name, display_name, global_name, picture_url, observed_at)
SELECT g.kind, g.entity_id, g.name, g.display_name, g.global_name, g.picture_url, g.observed_at
FROM (
    SELECT
        unnest($kinds::TEXT[]) AS kind,
        unnest($entity_ids::BIGINT[]) AS entity_id,
        unnest($names::TEXT[]) AS name,
        unnest($display_names::TEXT[]) AS display_name,
        unnest($global_names::TEXT[]) AS global_name,
        unnest($picture_urls::TEXT[]) AS picture_url,
        unnest($observed_ats::TIMESTAMPTZ[]) AS observed_at
) AS g
LEFT JOIN profiles AS p ON p.kind = g.kind AND p.entity_id = g.entity_id
WHERE
    p.entity_id IS NULL
    OR (p.name IS NULL AND g.name IS NOT NULL)
    OR (p.display_name IS NULL AND g.display_name IS NOT NULL)
    OR (p.global_name IS NULL AND g.global_name IS NOT NULL)
    OR (p.picture_url IS NULL AND g.picture_url IS NOT NULL)
    OR (
        g.observed_at >= p.observed_at
        AND (
            g.name <> p.name
            OR g.display_name <> p.display_name
            OR g.global_name <> p.global_name
            OR g.picture_url <> p.picture_url
        )
    )
ORDER BY g.kind, g.entity_id
ON CONFLICT (kind, entity_id) DO UPDATE SET
    name = CASE
        WHEN excluded.observed_at >= profiles.observed_at THEN coalesce(excluded.name, profiles.name)
        ELSE coalesce(profiles.name, excluded.name)
    END,
    display_name = CASE
        WHEN excluded.observed_at >= profiles.observed_at
            THEN coalesce(excluded.display_name, profiles.display_name)
        ELSE coalesce(profiles.display_name, excluded.display_name)
    END,
    global_name = CASE
        WHEN excluded.observed_at >= profiles.observed_at
            THEN coalesce(excluded.global_name, profiles.global_name)
        ELSE coalesce(profiles.global_name, excluded.global_name)
    END,
    picture_url = CASE
        WHEN excluded.observed_at >= profiles.observed_at
            THEN coalesce(excluded.picture_url, profiles.picture_url)
        ELSE coalesce(profiles.picture_url, excluded.picture_url)
    END,
    observed_at = greatest(profiles.observed_at, excluded.observed_at);

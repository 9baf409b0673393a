-- Messages that no channel's policy has taken: every content they were read with, as first read.
CREATE TABLE skipped_messages (
    discord_id BIGINT NOT NULL,
    content_digest BIGINT NOT NULL,
    channel_id BIGINT NOT NULL,
    guild_id BIGINT,
    posted_at TIMESTAMPTZ NOT NULL,
    edited_at TIMESTAMPTZ,
    driver TEXT,
    author_id BIGINT,
    author_name TEXT,
    author_nickname TEXT,
    author_is_bot BOOLEAN NOT NULL,
    raw_content TEXT NOT NULL,
    message_text TEXT NOT NULL,
    message_type TEXT NOT NULL,
    is_pinned BOOLEAN NOT NULL,
    reference_id BIGINT,
    attachments JSON NOT NULL,
    attachment_count INTEGER NOT NULL,
    embeds JSON NOT NULL,
    embed_count INTEGER NOT NULL,
    stickers JSON NOT NULL,
    reactions JSON NOT NULL,
    reaction_count INTEGER NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    correlation_id TEXT COLLATE "C" NOT NULL,
    skip_reason TEXT NOT NULL,
    -- When this content was first and last read.
    first_observed_at TIMESTAMPTZ NOT NULL,
    observed_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (discord_id, content_digest)
);

CREATE INDEX skipped_messages_by_channel ON skipped_messages (channel_id, discord_id);

-- Types that were stored by their number have names. Digests go by the numbers still, so nothing changes
-- when these messages are read again.
UPDATE messages
SET message_type = named.name
FROM (
    VALUES
        ('8', 'GuildBoost'),
        ('9', 'GuildBoostTier1'),
        ('10', 'GuildBoostTier2'),
        ('11', 'GuildBoostTier3'),
        ('12', 'ChannelFollowAdd'),
        ('13', 'GuildStream'),
        ('14', 'GuildDiscoveryDisqualified'),
        ('15', 'GuildDiscoveryRequalified'),
        ('16', 'GuildDiscoveryGracePeriodInitialWarning'),
        ('17', 'GuildDiscoveryGracePeriodFinalWarning'),
        ('20', 'ChatInputCommand'),
        ('21', 'ThreadStarterMessage'),
        ('22', 'GuildInviteReminder'),
        ('23', 'ContextMenuCommand'),
        ('24', 'AutoModerationAction'),
        ('25', 'RoleSubscriptionPurchase'),
        ('26', 'InteractionPremiumUpsell'),
        ('27', 'StageStart'),
        ('28', 'StageEnd'),
        ('29', 'StageSpeaker'),
        ('30', 'StageRaiseHand'),
        ('31', 'StageTopic'),
        ('32', 'GuildApplicationPremiumSubscription'),
        ('36', 'GuildIncidentAlertModeEnabled'),
        ('37', 'GuildIncidentAlertModeDisabled'),
        ('38', 'GuildIncidentReportRaid'),
        ('39', 'GuildIncidentReportFalseAlarm'),
        ('44', 'PurchaseNotification'),
        ('46', 'PollResult'),
        ('63', 'EmojiAdded')
) AS named (number, name)
WHERE messages.message_type = named.number;
UPDATE message_revisions
SET message_type = named.name
FROM (
    VALUES
        ('8', 'GuildBoost'),
        ('9', 'GuildBoostTier1'),
        ('10', 'GuildBoostTier2'),
        ('11', 'GuildBoostTier3'),
        ('12', 'ChannelFollowAdd'),
        ('13', 'GuildStream'),
        ('14', 'GuildDiscoveryDisqualified'),
        ('15', 'GuildDiscoveryRequalified'),
        ('16', 'GuildDiscoveryGracePeriodInitialWarning'),
        ('17', 'GuildDiscoveryGracePeriodFinalWarning'),
        ('20', 'ChatInputCommand'),
        ('21', 'ThreadStarterMessage'),
        ('22', 'GuildInviteReminder'),
        ('23', 'ContextMenuCommand'),
        ('24', 'AutoModerationAction'),
        ('25', 'RoleSubscriptionPurchase'),
        ('26', 'InteractionPremiumUpsell'),
        ('27', 'StageStart'),
        ('28', 'StageEnd'),
        ('29', 'StageSpeaker'),
        ('30', 'StageRaiseHand'),
        ('31', 'StageTopic'),
        ('32', 'GuildApplicationPremiumSubscription'),
        ('36', 'GuildIncidentAlertModeEnabled'),
        ('37', 'GuildIncidentAlertModeDisabled'),
        ('38', 'GuildIncidentReportRaid'),
        ('39', 'GuildIncidentReportFalseAlarm'),
        ('44', 'PurchaseNotification'),
        ('46', 'PollResult'),
        ('63', 'EmojiAdded')
) AS named (number, name)
WHERE message_revisions.message_type = named.number;

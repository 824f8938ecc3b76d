//! What people and bots write in the chat of a simulated stream. No text has a character that JSON escapes.

/// Names that chatters put before a number.
pub(super) const NAMES: [&str; 16] = [
    "pixel", "nova", "moss", "turbo", "kiwi", "echo", "panda", "lumen", "rusty", "comet", "taco",
    "zephyr", "bolt", "ivy", "orbit", "mango",
];

/// When a play goes well.
pub(super) const PRAISE: [&str; 12] = [
    "what a clutch play",
    "that was amazing",
    "best stream of the week",
    "love this run",
    "great save, well played",
    "so happy I caught this live",
    "you are insanely good at this",
    "this is a perfect route",
    "nice one, super clean",
    "hyped for the finale",
    "gg, brilliant finish",
    "thanks for the laughs today",
];

/// When it does not.
pub(super) const COMPLAINTS: [&str; 10] = [
    "that was a terrible call",
    "the lag is awful today",
    "worst luck ever",
    "this boss is so unfair",
    "not a good idea",
    "I hate this level",
    "painful to watch",
    "stream keeps freezing, so annoying",
    "sad, that run was dead anyway",
    "what a boring map",
];

/// The rest of the time.
pub(super) const TALK: [&str; 12] = [
    "which version is this",
    "first time here, hi chat",
    "what is the record for this category",
    "back from dinner",
    "how long has this been going",
    "is there a schedule",
    "that is the long way round",
    "same seed as yesterday",
    "who is on the other team",
    "map three next",
    "when is the next break",
    "hello from the train",
];

/// When another channel's viewers arrive.
pub(super) const RAID: [&str; 5] = [
    "raid hype",
    "we are here",
    "hello from the raid",
    "raiders assemble",
    "love to the new friends",
];

/// The channel's own bot.
pub(super) const BOT: [&str; 4] = [
    "Reminder: be kind to each other, and no spoilers please.",
    "Up since 2 hours. Type !schedule for the next streams.",
    "New here? Follow the channel to see when it goes live.",
    "Commands: !uptime !schedule !clip !song",
];

/// Bots that nobody asked for; they write one after the other.
pub(super) const SPAM: [&str; 3] = [
    "Best viewers and followers, cheap, visit us today",
    "Win a free console now, link in my profile",
    "I can make a logo for your channel, message me",
];

/// Emotes of good moments, of bad ones, and of raids.
pub(super) const HAPPY: [&str; 6] = ["PogChamp", "LUL", "KEKW", "HypeClap", "HeartEyes", "EZClap"];
pub(super) const UNHAPPY: [&str; 4] = ["BibleThump", "NotLikeThis", "FailFish", "Sadge"];
pub(super) const RAIDING: [&str; 3] = ["RaidHype", "TwinkleHi", "HypeClap"];

/// Titles, with what the stream is about then.
pub(super) const SHOWS: [(&str, &str); 6] = [
    ("Any% until the record falls", "Castle Runner"),
    ("Ranked climb, day 12", "Arena Nine"),
    ("Building a town from nothing", "Little Harbour"),
    ("Just chatting before the tournament", "Just Chatting"),
    ("Blind playthrough, no hints", "The Lantern Below"),
    ("Soldering and synths", "Makers and Crafting"),
];

/// Languages, by what share of streams there is about.
pub(super) const LANGUAGES: [&str; 6] = ["en", "en", "en", "en", "de", "pt-BR"];

"""The texts of the demo: drivers, radio messages, fans and their chatter.

All texts are invented. The form of a radio message is the project's own: an emoji, the driver in
backticks, the words.
"""

from __future__ import annotations

DRIVERS = (
    "Norris",
    "Piastri",
    "Leclerc",
    "Hamilton",
    "Russell",
    "Antonelli",
    "Verstappen",
    "Hadjar",
    "Alonso",
    "Stroll",
    "Gasly",
    "Colapinto",
    "Albon",
    "Sainz",
    "Lawson",
    "Lindblad",
    "Hülkenberg",
    "Bortoleto",
    "Ocon",
    "Bearman",
    "Pérez",
    "Bottas",
)

RADIO = (
    "Box, box.",
    "Box this lap, box this lap. Confirm.",
    "Copy, staying out.",
    "Tyres are gone, mate. Rear left especially.",
    "We are looking at plan B, plan B.",
    "Gap to the car ahead, one point eight.",
    "Push now, push now. Target minus two tenths.",
    "Yellow flag sector two, keep it clean.",
    "Safety car, safety car. Keep the delta positive.",
    "He pushed me off the track!",
    "Understood. We have reported it to race control.",
    "I have no grip out of turn seven.",
    "Front wing damage, I think. Right side.",
    "Battery is full, use it on the main straight.",
    "Blue flags, please. Blue flags!",
    "Lift and coast into turn one for the next three laps.",
    "Brake temperatures are high, a bit more margin please.",
    "How many laps left?",
    "Twelve laps to go. You are doing a great job.",
    "Rain expected in five minutes, class one.",
    "It's drying, it's drying. Slicks are possible.",
    "Something in the cockpit is loose, it's moving around.",
    "Okay, mode four, mode four for overtaking.",
    "Vibration on the front right, big flat spot.",
    "Five-second penalty for the car behind. Keep the gap.",
    "P3 at the moment. P3.",
    "Yes! Come on! What a lap, guys.",
    "Copy. Head down, the pace is good.",
    "Clutch position two for the pit stop.",
    "Traffic ahead, two cars fighting. Be patient.",
    "Is the radio working? Radio check.",
    "Loud and clear.\n> Engineer: same here, loud and clear.",
)

CHAT = (
    "what a save 😮",
    "That undercut was perfect 🔥",
    "did anyone see the start? I was late",
    "LET'S GO 🏎️💨",
    "strategy department asleep again 😴",
    "who is on fresh softs right now?",
    "no way that was inside the white line",
    "the drainage at this track 🌧️",
    "Ça va être chaud jusqu'à la fin",
    "頑張れ! 📻",
    "my stream is 40 seconds behind, no spoilers please 🙏",
    "fastest lap incoming, purple in S1 and S2 💜",
    "`softs` or mediums for the last stint?",
    "so close to the wall",
)

LINK_TITLES = (
    "Live timing",
    "Stewards' decision: document 42",
    "Weather radar for the next hour",
    "Onboard: the move of the day",
)

# Account name, display name, colour, role.
FANS = (
    ("apex.anna", "Anna", "#E67E22", "Marshal"),
    ("jonas_p", "Jonas", None, None),
    ("pitwall.pete", "Pitwall Pete", "#3498DB", "Strategist"),
    ("ayse34", "Ayşe", None, None),
    ("takeshi.r", "たけし", "#2ECC71", "Strategist"),
    ("marie.l", "Marie 🏁", None, None),
    ("kwame", "Kwame", "#E67E22", "Marshal"),
    ("tifosa", "Giulia", "#E74C3C", "Tifosi"),
)

# Unicode form, shortcode, code point of the picture.
EMOJI = {
    "🔥": ("fire", "1f525"),
    "😮": ("open_mouth", "1f62e"),
    "👏": ("clap", "1f44f"),
    "💀": ("skull", "1f480"),
    "🏎️": ("race_car", "1f3ce"),
    "🎙️": ("studio_microphone", "1f399"),
    "📻": ("radio", "1f4fb"),
    "💨": ("dash", "1f4a8"),
    "😴": ("sleeping", "1f634"),
    "🌧️": ("cloud_with_rain", "1f327"),
    "🙏": ("pray", "1f64f"),
    "💜": ("purple_heart", "1f49c"),
    "🏁": ("checkered_flag", "1f3c1"),
    "👍": ("thumbsup", "1f44d"),
}
REACTIONS = ("🔥", "😮", "👏", "💀", "👍")

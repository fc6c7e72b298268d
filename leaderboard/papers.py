"""The papers, by their keys in sources and claims, with their names for readers."""

PAPERS = {
    "lizaire2026": "Lizaire et al. 2026",
    "lizaire2024": "Lizaire et al. 2024",
    "dubinin2024": "Dubinin & Effenberger 2024",
    "miller2019": "Miller & Hardt 2019",
    "pascanu2014": "Pascanu et al. 2014",
    "walker2025": "Walker et al. 2025",
    "grazzi2024": "Grazzi et al. 2024",
    "gonzalez2025": "Gonzalez et al. 2025",
}

"""The leaderboard as text: cells, files, and lines of the screen."""

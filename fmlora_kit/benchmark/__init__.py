"""What one training step of each method costs, beside what the physics asks."""

"""What tests share: hand-made records, small models, image trees."""

"""What tests are made with: made-up exams, wrapped clips, and processes on loopback."""

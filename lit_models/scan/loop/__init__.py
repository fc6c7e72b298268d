"""The loop over a recurrence's steps, which every other scan equals, alone and as a kernel that keeps nothing."""

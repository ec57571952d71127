"""Members of a group as they see themselves: their answers, and whether they form one cluster."""

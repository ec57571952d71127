"""Groups whose members do not form one cluster."""

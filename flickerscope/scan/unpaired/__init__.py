"""Two sets of clips without correspondence: every clip measured alone, the sets held together."""

"""Is a teacher nasty: good itself, and ruinous to learn from (Ma et al., ICLR 2021)?"""

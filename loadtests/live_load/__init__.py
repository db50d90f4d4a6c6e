"""What users of a running server get: Verto beside servers around CTranslate2, under the same live load."""
